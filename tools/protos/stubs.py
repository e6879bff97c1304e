"""What is generated for each language: a function of the contract that returns the files below one folder."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from google import rpc

from tools.protos import contract
from tools.protos.contract import Files
from tools.toolchains import go_tool, npm_tool

# The module path of the Go client until it is published; see its README.
GO_PACKAGE = "example.com/taskwheel/go/taskwheel/v1;taskwheelv1"


def protoc(outputs: Mapping[str, list[str]], plugins: Mapping[str, Path] | None = None) -> Files:
    """Return what protoc writes for the files of the contract, without foreign options, by file name.

    Args:
        outputs: The options of each output, by its name: `go` for `--go_out`.
        plugins: The programs that make outputs which are not protoc's own, by the name of the output.

    """
    files = contract.strip_options(contract.read(comments=True))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "taskwheel.binpb")
        source.write_bytes(files.SerializeToString())
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={source}"]
        for name, program in (plugins or {}).items():
            command.append(f"--plugin=protoc-gen-{name}={program}")
        for name, options in outputs.items():
            command += [f"--{name}_out={folder}", *(f"--{name}_opt={option}" for option in options)]
        subprocess.run([*command, *contract.names(files)], check=True)
        return {path.name: path.read_bytes() for path in Path(folder, "taskwheel/v1").iterdir()}


def python() -> Files:
    """Return the messages, their types and the services, for the client and the server."""
    files = protoc({"python": [], "pyi": [], "grpc_python": []})
    # protoc writes an empty one for each file without a service.
    stubs = {name: files[name] for name in files if not name.endswith("_pb2_grpc.py") or "_service_" in name}
    return stubs | {"__init__.py": b'"""The generated messages and stubs of the API, package taskwheel.v1."""\n'}


def go() -> Files:
    """Return the messages and services of the Go client."""
    plugins = {
        "go": go_tool("google.golang.org/protobuf/cmd/protoc-gen-go", "v1.36.12"),
        "go-grpc": go_tool("google.golang.org/grpc/cmd/protoc-gen-go-grpc", "v1.6.2"),
    }
    ours = contract.names(contract.read(comments=False))
    options = ["paths=source_relative", *(f"M{name}={GO_PACKAGE}" for name in ours)]
    return protoc({"go": options, "go-grpc": options}, plugins)


def typescript() -> Files:
    """Return the messages and services of the Node client."""
    plugin = npm_tool("@bufbuild/protoc-gen-es", "2.17.0")
    return protoc({"es": ["target=ts", "import_extension=js"]}, {"es": plugin})


def typescript_errors() -> Files:
    """Return the details of errors: Connect, which the Node client goes by, does not bring them."""
    plugin = npm_tool("@bufbuild/protoc-gen-es", "2.17.0")
    source = "google/rpc/error_details.proto"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{Path(rpc.__path__[0]).parents[1]}"]
        command += [f"--plugin=protoc-gen-es={plugin}", f"--es_out={folder}"]
        command += ["--es_opt=target=ts", "--es_opt=import_extension=js"]
        subprocess.run([*command, source], check=True)
        return {path.name: path.read_bytes() for path in Path(folder, source).parent.iterdir()}


def java() -> Files:
    """Return what the build of the Java client generates from: the text of the contract without foreign options.

    Raises:
        ValueError: The text does not say what the descriptors do.

    """
    meant = contract.strip_options(contract.read(comments=False))
    ours = contract.names(meant)
    with tempfile.TemporaryDirectory() as folder:
        for name in ours:
            stripped = Path(folder, name)
            stripped.parent.mkdir(parents=True, exist_ok=True)
            stripped.write_text(contract.strip_text((contract.ROOT / "protos" / name).read_text()))
        said = {file.name: file for file in contract.read(comments=False, source=folder).file}
        for file in meant.file:
            if file.name in ours and said[file.name] != file:
                raise ValueError(f"{file.name} says something else once foreign options are cut from its text")
        return {path.name: path.read_bytes() for path in Path(folder, "taskwheel/v1").iterdir()}


def descriptors() -> Files:
    """Return the descriptor set of the server.

    It keeps the options, for protovalidate, in a pool of the server's own. In it, fields of the type Struct or Value
    are `bytes`, which is the same on the wire: payloads and results pass through validation, and through any message
    class made from that pool, as they came, unpacked by nobody.
    """
    files = contract.read(comments=False)
    for file in files.file:
        if file.package == contract.PACKAGE:
            contract.hide_payloads(list(file.message_type))
    return {"taskwheel.binpb": files.SerializeToString(deterministic=True)}
