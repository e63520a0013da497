"""Commands whose options come from the cards of engines; cards are read when options are."""

from collections.abc import Collection, Iterator
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from api.engines.parameters import PARAMETERS, explain, list_parameters
from audiostory_core.errors import BadInput


class EngineCommand(TyperCommand):
    """A command with the option --engine, whose help names the engines."""

    _declared: list[Any]
    _listed: list[Any] | None = None

    @property
    def params(self) -> list[Any]:
        """Its parameters: always the same list, which its parser adds --help to."""
        if self._listed is None:
            self._listed = list(self._list())
        return self._listed

    @params.setter
    def params(self, declared: list[Any]) -> None:
        self._declared = declared

    def _list(self) -> Iterator[Any]:
        from api.engines.catalog import engines  # noqa: PLC0415 - pydantic takes a moment

        names = f" ({', '.join(engines().names)})."
        for option in self._declared:
            if option.name == "engine" and not option.help.endswith(names):
                option.help = option.help.rstrip(".") + names
            yield option


class ParameterCommand(EngineCommand):
    """A command that takes an option for each parameter of an engine, too.

    What they say is in the context's `meta` under `PARAMETERS`.
    """

    def _list(self) -> Iterator[Any]:
        yield from super()._list()
        taken = {"--help", *(word for option in self._declared for word in option.opts)}
        yield from _options_of(taken)


def _options_of(taken: Collection[str]) -> list[Any]:
    """Have typer make the options, of a command that is never run."""
    options = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None,
                typer.Option(
                    _word(name),
                    metavar="VALUE",
                    help=f"{explain(of_engines)}.",
                    callback=_keep,
                    expose_value=False,
                ),
            ],
        )
        for name, of_engines in list_parameters(()).items()
        if _word(name) not in taken
    ]

    def unused() -> None:
        pass

    vars(unused)["__signature__"] = Signature(options)
    unused.__annotations__ = {option.name: option.annotation for option in options}
    app = typer.Typer(add_completion=False)
    app.command()(unused)
    return typer.main.get_command(app).params


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def read_parameters(meta: dict[str, Any], pairs: list[str]) -> dict[str, Any]:
    """Return the parameters that options and `NAME=VALUE` pairs set.

    Raises:
        BadInput: if a pair is none, or sets one twice.
    """
    parameters = dict(meta.get(PARAMETERS, {}))
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name in parameters:
            problem = "sets it twice" if equals else "is not NAME=VALUE"
            raise BadInput("set", pair, problem, "Write, for example, --set NAME=20.")
        parameters[name] = value
    return parameters


def _keep(context: typer.Context, option: typer.CallbackParam, value: str | None) -> None:
    if value is not None:
        context.meta.setdefault(PARAMETERS, {})[option.name] = value
