"""The lake against its storage: which replicas are there, which files are in no replica, and what mends it.

Rucio says *dark* of files that no replica accounts for, and *missing* of replicas without a file.
"""
