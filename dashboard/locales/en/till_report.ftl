# The till’s figures, statements and papers.
