"""Cut-outs of files that lie elsewhere: what is wanted, read in the ranges that hold it, written as a file of its own.

A library: it knows neither the web services nor Rucio nor the database.
"""
