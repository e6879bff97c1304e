"""The contract as descriptors, and in the forms that the generators and the server want it in."""

import re
import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

Files = dict[str, bytes]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "taskwheel.v1"
OPAQUE = (".google.protobuf.Struct", ".google.protobuf.Value")
OPTION_PACKAGES = ("buf/validate/", "google/api/")
BUF = str(Path(sys.executable).with_name("buf"))

# What is looked at as a whole when options are cut from the text of a file: the rest goes by character.
_TOKEN = re.compile(r"""//[^\n]*\n|"(?:\\.|[^"\\])*"|\s*option \([^;]*;|\s*\[|.""", re.DOTALL)


def read(*, comments: bool, source: str = "protos", root: Path = ROOT) -> FileDescriptorSet:
    """Return the contract and all that it imports, as buf reads it."""
    command = [BUF, "build", source, "--as-file-descriptor-set", "-o", "-"]
    if not comments:
        command.append("--exclude-source-info")
    built = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE)
    return FileDescriptorSet.FromString(built.stdout)


def names(files: FileDescriptorSet) -> list[str]:
    """Return the names of the files that are ours, not imported from elsewhere."""
    return [file.name for file in files.file if file.package == PACKAGE]


def strip_options(files: FileDescriptorSet) -> FileDescriptorSet:
    """Return the files of the contract without foreign options and the imports that declare them."""
    # The extensions are not registered in this process, so to protobuf the options are unknown fields.
    files.DiscardUnknownFields()
    kept = [file for file in files.file if not file.name.startswith(OPTION_PACKAGES)]
    for file in kept:
        imports = [name for name in file.dependency if not name.startswith(OPTION_PACKAGES)]
        file.dependency[:] = imports
        _drop_empty_options(file)
    return FileDescriptorSet(file=kept)


def _drop_empty_options(descriptor: Message) -> None:
    for field, value in descriptor.ListFields():
        if field.name == "options" and not value.ByteSize():
            descriptor.ClearField(field.name)
        elif field.message_type and field.is_repeated:
            for each in value:
                _drop_empty_options(each)


def hide_payloads(messages: list[DescriptorProto]) -> None:
    """Make fields of the type Struct or Value `bytes`, in these messages and those nested in them."""
    for message in messages:
        hide_payloads(list(message.nested_type))
        for field in message.field:
            if field.type_name in OPAQUE:
                field.ClearField("type_name")
                field.type = FieldDescriptorProto.TYPE_BYTES


def strip_text(text: str) -> str:
    """Return the text of a file of the contract, comments and all, without foreign options and their imports."""
    kept, depth = [], 0
    for token in _TOKEN.findall(text):
        opened = token.endswith("[") and not token.startswith("//")
        depth += opened
        if not depth and not re.match(r"\s*option \(", token):
            kept.append(token)
        depth -= depth > 0 and token == "]"
    text = re.sub(rf'import "(?:{"|".join(OPTION_PACKAGES)}).*\n', "", "".join(kept))
    text = re.sub(r"(rpc [^;{]*\)) {\s*}", r"\1;", text)
    return re.sub(r"{\n\n+", "{\n", text)
