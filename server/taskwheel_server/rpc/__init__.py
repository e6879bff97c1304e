"""The API: gRPC in, commands and reads out. The only package that knows gRPC and protobuf.

messages   the contract's message classes, payloads opaque      validate   its rules, before a handler sees a request
endpoint   what surrounds every handler                         errors     the one table from conditions to statuses
server     the gRPC server                                      backend    what handlers call: the wheel and reads
*_message  model to message and back                            tasks, runs, admin, ...   one service each
"""
