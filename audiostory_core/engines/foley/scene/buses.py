"""Where what happens in a scene is added up: a canvas for every gain that its layers ask for.

The scene's own level is set, and peaks are limited, before those gains: otherwise a layer turned
down would be raised again with its scene, or lose less than it was to lose.
"""

from functools import reduce

import numpy as np

from audiostory_core.engines.foley.scene import levels
from audiostory_core.engines.foley.scene.space import Single

USUAL_DB = 0.0  # of what no layer turns up or down


class Bus:
    """Sounds that get one level.

    Args:
        samples: of the scene.
        ceiling: the highest peak of sounds of one gain, before it; None: any.
    """

    def __init__(self, samples: int, ceiling: float | None = None) -> None:
        self._ceiling = ceiling
        self._by_gain = {USUAL_DB: np.zeros((2, samples), np.float32)}

    @property
    def loudest_db(self) -> float:
        """The highest gain of any sound, 0 at least."""
        return max(self._by_gain)

    def at(self, gain_db: float) -> Single:
        """Return the canvas of a gain, [2, N], to be added to."""
        if gain_db not in self._by_gain:
            self._by_gain[gain_db] = np.zeros_like(self._by_gain[USUAL_DB])
        return self._by_gain[gain_db]

    def leveled(self, *, is_hushed: bool, is_spoken_over: bool = False) -> Single:
        """Return the sum, [2, N], as loud as a scene has it, every sound at its own gain.

        Args:
            is_hushed: the scene is to stay as quiet as it is.
            is_spoken_over: it is not all that happens, and not raised as if it were.
        """
        usual = self._by_gain[USUAL_DB]
        most_db = 0.0 if is_spoken_over else levels.MAX_LIFT_DB
        if len(self._by_gain) == 1:
            lift_db = 0.0 if is_hushed else min(levels.lift_db(usual), most_db)
            usual *= np.float32(10 ** (lift_db / 20))
            return usual
        happening = reduce(np.add, self._by_gain.values())
        lift_db = 0.0 if is_hushed else min(levels.lift_db(happening), most_db)
        mixed = np.zeros_like(usual)
        for gain_db, canvas in self._by_gain.items():
            canvas *= np.float32(10 ** (lift_db / 20))
            if self._ceiling is not None:
                canvas = levels.limited(canvas, np.full(1, self._ceiling))
            mixed += canvas * np.float32(10 ** (gain_db / 20))
        return mixed
