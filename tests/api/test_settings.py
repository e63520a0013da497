import pytest

from api.settings import Settings


@pytest.mark.parametrize("field", ["home", "database_url", "processes", "weights"])
def test_empty_variable_counts_as_unset(monkeypatch, field):
    name = f"AUDIOSTORY_{field.upper()}"
    monkeypatch.delenv(name, raising=False)
    default = getattr(Settings(), field)

    monkeypatch.setenv(name, "")

    assert getattr(Settings(), field) == default
