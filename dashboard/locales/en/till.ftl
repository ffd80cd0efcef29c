# The till: what every part of it says: amounts, modes, states, refusals.
