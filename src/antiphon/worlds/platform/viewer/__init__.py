"""The platform in a browser: one page without a network, in which a policy flies or a log is replayed."""

from antiphon.worlds.platform.viewer.page import viewer_page as viewer_page
