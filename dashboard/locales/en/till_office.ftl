# Services, prices, terms, groups and discounts.
