# The cashier’s pages.
