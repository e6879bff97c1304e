from tests.faults.conftest import figure

__all__ = ["figure"]
