"""``import ddmiddleware.auto`` does what ``ddmiddleware-run`` does: it traces every supported library."""

from ddmiddleware.integrations import patch_all

patch_all()
