"""What engines with weights need: parameters of a story, tensors of a condition."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('story', schema=None) as batch_op:
        batch_op.add_column(
            sa.Column('parameters', sa.JSON(), server_default=sa.text("'{}'"), nullable=False)
        )
    with op.batch_alter_table('condition', schema=None) as batch_op:
        batch_op.add_column(sa.Column('file', sa.Text(), nullable=True))
        batch_op.create_index(batch_op.f('ix_condition_file'), ['file'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('condition', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_condition_file'))
        batch_op.drop_column('file')
    with op.batch_alter_table('story', schema=None) as batch_op:
        batch_op.drop_column('parameters')
