"""A later release of Kasm: one revision more."""
from alembic import op

revision = "0123456789ab"
down_revision = "bfc22f00ad19"


def upgrade():
    op.execute("ALTER TABLE users ADD COLUMN of_the_next_release text")
