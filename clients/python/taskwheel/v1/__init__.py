"""The generated messages and stubs of the API, package taskwheel.v1."""
