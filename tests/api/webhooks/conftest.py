"""A studio that webhooks hear of, and one who listens."""

import pytest

from tests.support.webhook_deliveries import add_story
from tests.support.webhook_receiver import receiving


@pytest.fixture
async def receiver():
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def story(studio):
    return await add_story(studio)
