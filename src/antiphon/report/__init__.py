"""A run directory as one page that stands alone, and several runs side by side."""

from antiphon.report.comparison import write_comparison
from antiphon.report.page import write_report
from antiphon.report.record import RunRecord, read_record

__all__ = ["RunRecord", "read_record", "write_comparison", "write_report"]
