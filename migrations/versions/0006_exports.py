"""Files of mixes are made by workers and kept until nobody uses them."""

import sqlalchemy as sa
from alembic import op

from storage.models import now_s

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table(
        'export',
        sa.Column('story_id', sa.Text(), nullable=False),
        sa.Column('key', sa.Text(), nullable=False),
        sa.Column('revision', INTEGER, nullable=False),
        sa.Column('format', sa.Text(), nullable=False),
        sa.Column('stem', sa.Text(), nullable=True),
        sa.Column('requested_at', sa.Double(), server_default=now_s(), nullable=False),
        sa.Column('file', sa.Text(), nullable=True),
        sa.Column('bytes', INTEGER, nullable=True),
        sa.Column('finished_at', sa.Double(), nullable=True),
        sa.Column('used_at', sa.Double(), server_default=now_s(), nullable=False),
        sa.ForeignKeyConstraint(['story_id'], ['story.id'], name=op.f('fk_export_story_id')),
        sa.PrimaryKeyConstraint('story_id', 'key', name=op.f('pk_export')),
    )
    op.create_index('ix_export_key', 'export', ['key'])


def downgrade() -> None:
    """Go back; what was exported, the sweep removes."""
    op.execute("DELETE FROM work WHERE kind = 'export'")
    op.drop_table('export')
