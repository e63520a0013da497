"""How long a scene may be: as long as the engine that will make its clip can make it at once."""

from collections.abc import Mapping

from audiostory_core.story.plan import Frozen, samples_of, seconds_of


class SceneLimits(Frozen):
    """The longest scene of each engine, its tail excluded.

    Attributes:
        story_s: of the story's engine.
        by_engine: of the engines that scenes name instead.
        engines: of the scenes of the plan that is edited, in order; None: the story's.
    """

    story_s: float
    by_engine: Mapping[str, float] = {}
    engines: tuple[str | None, ...] = ()

    def engine_of(self, engine: str | None, inherits: int | None) -> str | None:
        """Return the engine of a scene that names one, or keeps that of a scene of the plan."""
        if engine is None and inherits is not None and inherits < len(self.engines):
            return self.engines[inherits]
        return engine

    def samples(self, engine: str | None = None, inherits: int | None = None) -> int:
        """Return the most samples of a scene; see `engine_of`."""
        name = self.engine_of(engine, inherits)
        longest_s = self.story_s if name is None else self.by_engine.get(name, self.story_s)
        longest = samples_of(longest_s)
        return longest - (seconds_of(longest) > longest_s)
