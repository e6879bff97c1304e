"""Generate everything that is made from protos/: the Python stubs and the server's descriptor set.

    python tools/protos.py            write it
    python tools/protos.py --check    fail if what is committed differs

The stubs are made from a copy of the descriptors without the options of buf.validate and google.api: a client that
imported those would clash with any other copy of them in its process ("duplicate file name").

The descriptor set keeps the options, for protovalidate, in a pool of the server's own. In it, fields of the type Struct
or Value are `bytes`, which is the same on the wire: payloads and results pass through validation, and through any
message class made from that pool, as they came, unpacked by nobody.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).resolve().parent.parent
STUBS = Path("clients/python/taskwheel/v1")
DESCRIPTORS = Path("server/taskwheel_server/rpc/taskwheel.binpb")
OPAQUE = (".google.protobuf.Struct", ".google.protobuf.Value")
OPTION_PACKAGES = ("buf/validate/", "google/api/")


def read_protos(*, comments: bool) -> FileDescriptorSet:
    """Return the contract and all that it imports, as buf reads it."""
    buf = str(Path(sys.executable).with_name("buf"))
    command = [buf, "build", "protos", "--as-file-descriptor-set", "-o", "-"]
    if not comments:
        command.append("--exclude-source-info")
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return FileDescriptorSet.FromString(built.stdout)


def strip_options(files: FileDescriptorSet) -> FileDescriptorSet:
    """Return the files of the contract without foreign options and the imports that declare them."""
    # The extensions are not registered in this process, so to protobuf the options are unknown fields.
    files.DiscardUnknownFields()
    kept = [file for file in files.file if not file.name.startswith(OPTION_PACKAGES)]
    for file in kept:
        imports = [name for name in file.dependency if not name.startswith(OPTION_PACKAGES)]
        file.dependency[:] = imports
    return FileDescriptorSet(file=kept)


def hide_payloads(messages: list[DescriptorProto]) -> None:
    """Make fields of the type Struct or Value `bytes`, in these messages and those nested in them."""
    for message in messages:
        hide_payloads(list(message.nested_type))
        for field in message.field:
            if field.type_name in OPAQUE:
                field.ClearField("type_name")
                field.type = FieldDescriptorProto.TYPE_BYTES


def generate(root: Path) -> list[Path]:
    """Write everything below `root`, and return the paths relative to it."""
    files = read_protos(comments=False)
    for file in files.file:
        if file.package == "taskwheel.v1":
            hide_payloads(list(file.message_type))
    written = {DESCRIPTORS: files.SerializeToString(deterministic=True)}

    files = strip_options(read_protos(comments=True))
    ours = [file.name for file in files.file if file.package == "taskwheel.v1"]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "taskwheel.binpb")
        source.write_bytes(files.SerializeToString())
        outputs = [f"--{plugin}_out={folder}" for plugin in ("python", "pyi", "grpc_python")]
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={source}", *outputs, *ours]
        subprocess.run(command, check=True)
        for stub in sorted(Path(folder, "taskwheel/v1").iterdir()):
            # protoc writes an empty one for each file without a service.
            if not stub.name.endswith("_pb2_grpc.py") or "_service_" in stub.name:
                written[STUBS / stub.name] = stub.read_bytes()
    written[STUBS / "__init__.py"] = b'"""The generated messages and stubs of the API, package taskwheel.v1."""\n'

    for path, content in written.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return list(written)


def check() -> int:
    """Return 1 and name the files if what is committed differs from what would be generated."""
    with tempfile.TemporaryDirectory() as folder:
        paths = generate(Path(folder))
        stale = {path for path in paths if not same(Path(folder, path), ROOT / path)}
    stale |= {path.relative_to(ROOT) for path in (ROOT / STUBS).glob("*.py*")} - set(paths)
    for path in sorted(stale):
        print(f"{path} is not what protos/ says: run `make protos`", file=sys.stderr)
    return 1 if stale else 0


def same(one: Path, other: Path) -> bool:
    """Tell whether both files are there and equal."""
    return other.is_file() and one.read_bytes() == other.read_bytes()


def main() -> int:
    """Generate, or check."""
    if sys.argv[1:] == ["--check"]:
        return check()
    paths = set(generate(ROOT))
    for old in (ROOT / STUBS).glob("*.py*"):
        if old.relative_to(ROOT) not in paths:
            old.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
