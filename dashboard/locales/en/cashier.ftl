# The cashier’s pages.
place-till = Cash desk
place-till-payments = Payments
place-till-drawer = My drawer
place-till-requests = Requests
place-till-notices = Unmatched payments
place-till-days = Days and closing
cashier-nothing-title = Nothing here yet
cashier-nothing-text = As soon as there is something, it is shown here.
