"""What the five systems promise is tried as their users would: through a client, with a worker where work is done."""

from tests.client.conftest import client, start

__all__ = ["client", "start"]
