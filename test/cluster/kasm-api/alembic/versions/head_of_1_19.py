"""The head of Kasm 1.19.0; what came before it does not matter here."""
revision = "bfc22f00ad19"
down_revision = None


def upgrade():
    pass
