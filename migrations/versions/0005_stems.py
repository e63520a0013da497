"""A scene is heard as a clip for each of its stems; what a mix is read from says which."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
MOVED = 'condition_id, clip_key, rerolls, is_judged, flags'
ONE_CHAIN = sa.text("'[\"composite\"]'")


def upgrade() -> None:
    op.create_table(
        'scene_stem',
        sa.Column('scene_id', INTEGER, nullable=False),
        sa.Column('stem', sa.Text(), nullable=False),
        sa.Column('seed', INTEGER, nullable=True),
        sa.Column('condition_id', sa.Text(), nullable=True),
        sa.Column('clip_key', sa.Text(), nullable=True),
        sa.Column('rerolls', INTEGER, nullable=False),
        sa.Column('is_judged', sa.Boolean(), nullable=False),
        sa.Column('flags', sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ['scene_id'], ['scene_version.id'], name=op.f('fk_scene_stem_scene_id')
        ),
        sa.ForeignKeyConstraint(
            ['condition_id'], ['condition.id'], name=op.f('fk_scene_stem_condition_id')
        ),
        sa.PrimaryKeyConstraint('scene_id', 'stem', name=op.f('pk_scene_stem')),
    )
    op.execute(
        f"INSERT INTO scene_stem (scene_id, stem, {MOVED}) "
        f"SELECT id, 'composite', {MOVED} FROM scene_version"
    )
    op.create_index('ix_scene_stem_clip_key', 'scene_stem', ['clip_key'])
    op.drop_index('ix_scene_version_clip_key', 'scene_version')
    with op.batch_alter_table('scene_version') as batch_op:
        batch_op.drop_constraint('fk_scene_version_condition_id', type_='foreignkey')
        for column in MOVED.split(', '):
            batch_op.drop_column(column)
        batch_op.add_column(sa.Column('starts_s', sa.JSON()))
        batch_op.add_column(sa.Column('stem_gain_db', sa.JSON()))
    op.add_column('story', sa.Column('engines', sa.JSON()))
    composite = sa.Column('stem', sa.Text(), server_default='composite', nullable=False)
    op.add_column('take', composite)
    op.add_column('mix', sa.Column('stems', sa.JSON(), server_default=ONE_CHAIN, nullable=False))
    op.add_column('mix', sa.Column('balance', sa.JSON()))
    with op.batch_alter_table('segment') as batch_op:
        batch_op.alter_column('file', existing_type=sa.Text(), nullable=True)


def downgrade() -> None:
    """Go back; scenes with stems, which older versions cannot hear, are to be made again."""
    with op.batch_alter_table('scene_version') as batch_op:
        batch_op.drop_column('starts_s')
        batch_op.drop_column('stem_gain_db')
        batch_op.add_column(sa.Column('condition_id', sa.Text()))
        batch_op.add_column(sa.Column('clip_key', sa.Text()))
        batch_op.add_column(sa.Column('rerolls', INTEGER, server_default='0', nullable=False))
        batch_op.add_column(
            sa.Column('is_judged', sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column('flags', sa.JSON(), server_default='[]', nullable=False))
        batch_op.create_foreign_key(
            'fk_scene_version_condition_id', 'condition', ['condition_id'], ['id']
        )
    op.execute(
        f"UPDATE scene_version SET ({MOVED}) = "
        f"(SELECT {MOVED} FROM scene_stem WHERE scene_id = id AND stem = 'composite') "
        "WHERE id IN (SELECT scene_id FROM scene_stem WHERE stem = 'composite')"
    )
    with op.batch_alter_table('scene_version') as batch_op:
        for column in ('rerolls', 'is_judged', 'flags'):
            batch_op.alter_column(column, server_default=None)
    op.create_index('ix_scene_version_clip_key', 'scene_version', ['clip_key'])
    op.execute("DELETE FROM mix WHERE balance IS NOT NULL")
    op.execute("DELETE FROM segment WHERE file IS NULL")
    with op.batch_alter_table('segment') as batch_op:
        batch_op.alter_column('file', existing_type=sa.Text(), nullable=False)
    for table, column in (('mix', 'balance'), ('mix', 'stems'), ('take', 'stem'), ('story', 'engines')):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column(column)
    op.drop_table('scene_stem')
