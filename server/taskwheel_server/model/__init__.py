"""The nouns of taskwheel as frozen or plain values, and the moves a run may make. No I/O, no protobuf, no SQL."""
