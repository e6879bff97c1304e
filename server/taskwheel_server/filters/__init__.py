"""What callers of list and watch methods ask for: filters (AIP-160), orders (AIP-132), page tokens (AIP-158). Pure."""

from taskwheel_server.filters.catalogue import Catalogue, Field, InvalidFilter, Kind, catalogue
from taskwheel_server.filters.matcher import matches
from taskwheel_server.filters.order import OrderBy, parse_order_by
from taskwheel_server.filters.parser import parse
from taskwheel_server.filters.syntax import EVERYTHING, Filter

__all__ = [
    "EVERYTHING",
    "Catalogue",
    "Field",
    "Filter",
    "InvalidFilter",
    "Kind",
    "OrderBy",
    "catalogue",
    "matches",
    "parse",
    "parse_order_by",
]
