"""Passwords that would be seen wherever a part of one were shown."""

from hypothesis import strategies as st

# without letters and digits, so that no part of one occurs in a message by chance
_SPECIAL = st.text(r"""@":/?#%&=+ !$'()*,;[]~^|\<>{}äß漢""", min_size=3, max_size=12)

PASSWORDS = st.tuples(_SPECIAL, _SPECIAL).map("0Qz".join)
"""Passwords around `0Qz`, which occurs in no message by chance."""
