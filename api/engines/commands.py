"""Commands about engines. They need no database."""

from typing import Annotated

import typer

from api.terminal.options import AsJson

app = typer.Typer()
group = typer.Typer(
    no_args_is_help=True, help="What makes clips; some engines have an interpreter of their own."
)
app.add_typer(group, name="engines")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="An engine's name; see `audiostory engines list`.")
]


@group.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the engines, and why some cannot be used here."""
    from api.engines.catalog import engines
    from api.engines.queries import list_engines
    from api.engines.tables import show_engines
    from api.settings import read_settings
    from api.terminal.console import print_json

    views = list_engines(read_settings())
    if as_json:
        problems = [{"name": each.name, "why": each.why} for each in engines().problems]
        listed = [view.model_dump(mode="json") for view in views]
        print_json({"engines": listed, "problems": problems})
    else:
        show_engines(views, engines().problems)


@group.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show an engine: stems, limits, parameters, weights and their license, environment."""
    from api.engines.catalog import engines
    from api.engines.queries import view_engine
    from api.engines.tables import show_engine
    from api.settings import read_settings
    from api.terminal.console import print_json

    view = view_engine(engines().get(name).name, read_settings())
    if as_json:
        print_json(view.model_dump(mode="json"))
    else:
        show_engine(view)


@group.command()
def install(name: Name) -> None:
    """Make an engine's own interpreter, from the pinned requirements of its card."""
    from api.engines.service import install_engine
    from api.settings import read_settings
    from api.terminal.console import err, out

    def show_line(line: str) -> None:
        err.print(line, markup=False, highlight=False, soft_wrap=True)

    is_new = install_engine(name, read_settings(), show_line)
    out.print(f"{name} is installed" + ("" if is_new else " already"), markup=False)


@group.command()
def remove(name: Name) -> None:
    """Delete an engine's own interpreter; its stories and clips stay."""
    from api.engines.service import remove_engine
    from api.settings import read_settings
    from api.terminal.console import out

    remove_engine(name, read_settings())
    out.print(f"{name} is removed", markup=False)
