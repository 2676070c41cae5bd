"""The commands, in modules that are imported only to run one of them.

Each module holds the functions of its commands, and under `EXAMPLES` a line for the help of each.
"""
