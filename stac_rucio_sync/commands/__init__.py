"""The commands of the command line: each reads its options, calls one job and shows what came of it."""
