"""The stores that tests read from and write to, each empty."""

from __future__ import annotations

from tests.stores.places import azure as azure
from tests.stores.places import memory as memory
from tests.stores.places import place as place
from tests.stores.places import s3 as s3
from tests.stores.places import web as web
