"""Clips to be made become rows of one queue of work; what engines there are is written down."""

import sqlalchemy as sa
from alembic import op

from storage.models import now_s

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
IS_OPEN = sa.text("state IN ('queued', 'claimed')")
MOVED = ('state', 'owner', 'attempt', 'expires_at', 'priority', 'start_tag', 'queued_at', 'progress',
         'error')
COLUMNS = ', '.join(MOVED)


def upgrade() -> None:
    op.create_table(
        'work',
        sa.Column('key', sa.Text(), nullable=False),
        sa.Column('kind', sa.Text(), nullable=False),
        sa.Column('needs', sa.Text(), nullable=False),
        sa.Column('request', sa.Text(), nullable=True),
        sa.Column('state', sa.Text(), nullable=False),
        sa.Column('owner', sa.Text(), nullable=True),
        sa.Column('attempt', INTEGER, nullable=False),
        sa.Column('expires_at', sa.Double(), nullable=True),
        sa.Column('priority', INTEGER, nullable=False),
        sa.Column('start_tag', INTEGER, nullable=False),
        sa.Column('queued_at', sa.Double(), server_default=now_s(), nullable=False),
        sa.Column('progress', sa.Double(), nullable=True),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('is_bad_input', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint('key', 'kind', name=op.f('pk_work')),
    )
    op.create_table(
        'work_want',
        sa.Column('work_key', sa.Text(), nullable=False),
        sa.Column('work_kind', sa.Text(), nullable=False),
        sa.Column('run_id', INTEGER, nullable=False),
        sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_work_want_run_id')),
        sa.ForeignKeyConstraint(
            ['work_key', 'work_kind'],
            ['work.key', 'work.kind'],
            name=op.f('fk_work_want_work_key'),
        ),
        sa.PrimaryKeyConstraint('work_key', 'work_kind', 'run_id', name=op.f('pk_work_want')),
    )
    op.create_table(
        'engine_offer',
        sa.Column('name', sa.Text(), nullable=False),
        sa.Column('revision', sa.Text(), nullable=False),
        sa.Column('card', sa.JSON(), nullable=False),
        sa.Column('seen_at', sa.Double(), server_default=now_s(), nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_engine_offer')),
    )
    op.execute(
        f"INSERT INTO work (key, kind, needs, {COLUMNS}) "
        f"SELECT key, 'clip', engine, {COLUMNS} FROM clip"
    )
    op.execute(
        "INSERT INTO work_want (work_key, work_kind, run_id) "
        "SELECT clip_key, 'clip', run_id FROM clip_want"
    )
    # From here on a clip is made when it has a file.
    op.execute("UPDATE clip SET file = NULL, finished_at = NULL WHERE state <> 'finished'")
    op.drop_table('clip_want')
    op.drop_index('ix_clip_claimable', 'clip')
    for column in MOVED:
        op.execute(f'ALTER TABLE clip DROP COLUMN {column}')
    op.create_index('ix_work_want_run_id', 'work_want', ['run_id'])
    op.create_index(
        'ix_work_claimable',
        'work',
        ['kind', 'needs', sa.text('priority DESC'), 'start_tag', 'queued_at'],
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    )


def downgrade() -> None:
    added = (
        sa.Column('state', sa.Text(), server_default='queued', nullable=False),
        sa.Column('owner', sa.Text()),
        sa.Column('attempt', INTEGER, server_default='0', nullable=False),
        sa.Column('expires_at', sa.Double()),
        sa.Column('priority', INTEGER, server_default='0', nullable=False),
        sa.Column('start_tag', INTEGER, server_default='0', nullable=False),
        sa.Column('queued_at', sa.Double(), server_default=now_s(), nullable=False),
        sa.Column('progress', sa.Double()),
        sa.Column('error', sa.Text()),
    )
    # SQLite adds no column whose default is a function to a table that is there.
    recreate = 'always' if op.get_context().dialect.name == 'sqlite' else 'never'
    with op.batch_alter_table('clip', recreate=recreate) as batch_op:
        for column in added:
            batch_op.add_column(column)
    op.execute(
        f"UPDATE clip SET ({COLUMNS}) = "
        f"(SELECT {COLUMNS} FROM work WHERE work.kind = 'clip' AND work.key = clip.key)"
    )
    with op.batch_alter_table('clip') as batch_op:
        for column in ('state', 'attempt', 'priority', 'start_tag'):
            batch_op.alter_column(column, server_default=None)
    op.create_index(
        'ix_clip_claimable',
        'clip',
        ['engine', sa.text('priority DESC'), 'start_tag', 'queued_at'],
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    )
    op.create_table(
        'clip_want',
        sa.Column('clip_key', sa.Text(), nullable=False),
        sa.Column('run_id', INTEGER, nullable=False),
        sa.ForeignKeyConstraint(['clip_key'], ['clip.key'], name=op.f('fk_clip_want_clip_key')),
        sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_clip_want_run_id')),
        sa.PrimaryKeyConstraint('clip_key', 'run_id', name=op.f('pk_clip_want')),
    )
    op.create_index('ix_clip_want_run_id', 'clip_want', ['run_id'])
    op.execute(
        "INSERT INTO clip_want (clip_key, run_id) "
        "SELECT work_key, run_id FROM work_want WHERE work_kind = 'clip'"
    )
    for table in ('engine_offer', 'work_want', 'work'):
        op.drop_table(table)
