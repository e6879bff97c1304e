import pytest

from taskwheel_server.app.settings import Settings
from taskwheel_server.clock import MINUTE, SECOND
from taskwheel_server.errors import InvalidArgument


def test_a_flag_goes_before_a_variable_and_that_before_the_default():
    environment = {"TASKWHEEL_LISTEN": "0.0.0.0:1", "TASKWHEEL_LEASE": "2m"}
    settings = Settings.read(environment, listen="[::1]:2")
    assert settings == Settings(listen="[::1]:2", lease=2 * MINUTE)
    assert Settings.read({}) == Settings()


def test_an_empty_variable_is_as_good_as_none():
    assert Settings.read({"TASKWHEEL_LISTEN": "", "TASKWHEEL_DATABASE_URL": ""}) == Settings()


def test_an_empty_flag_does_not_mean_the_default():
    assert Settings.read({"TASKWHEEL_DATABASE_URL": "sqlite:///x.db"}, database_url="").database_url == ""


@pytest.mark.parametrize(
    ("text", "lease"),
    [("30", 30 * SECOND), ("1s", SECOND), ("1500ms", 1_500_000), ("1.5s", 1_500_000), ("1h", 60 * MINUTE)],
)
def test_a_lease_is_written_as_a_duration(text, lease):
    assert Settings.read({"TASKWHEEL_LEASE": text}).lease == lease


@pytest.mark.parametrize("text", ["0", "s", "-1s", "999ms", "2h", "1d", "1e3s", "٣s", "nan"])
def test_other_leases_are_refused(text):
    with pytest.raises(InvalidArgument, match="lease"):
        Settings.read({}, lease=text)
