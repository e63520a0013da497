"""Columns take the trade's names; a priority is stored as it is said, the higher the sooner."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

RENAMED = {
    'clip': {'figures': 'measures', 'report': 'engine_report', 'took_s': 'render_s',
             'nice': 'priority', 'turn': 'start_tag'},
    'run': {'edits': 'pending_changes', 'nice': 'priority', 'turn': 'start_tag'},
    'mix': {'programme': 'mastering'},
}
IS_OPEN = sa.text("state IN ('queued', 'claimed')")


def upgrade() -> None:
    op.drop_index('ix_clip_claimable', 'clip')
    for table, columns in RENAMED.items():
        for old, new in columns.items():
            op.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{old}" TO "{new}"')
    for table in ('clip', 'run'):
        op.execute(f'UPDATE "{table}" SET priority = -priority')
    _index('priority DESC', 'start_tag')


def downgrade() -> None:
    op.drop_index('ix_clip_claimable', 'clip')
    for table in ('clip', 'run'):
        op.execute(f'UPDATE "{table}" SET priority = -priority')
    for table, columns in RENAMED.items():
        for old, new in columns.items():
            op.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{new}" TO "{old}"')
    _index('nice', 'turn')


def _index(priority: str, start_tag: str) -> None:
    op.create_index(
        'ix_clip_claimable',
        'clip',
        ['engine', sa.text(priority), start_tag, 'queued_at'],
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    )
