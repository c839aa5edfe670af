"""The value types that every layer shares: frozen, without I/O, clock or chance.

spec         what a user asks for                      (/weir/jobs/<name>)
record       what the operator remembers               (/weir/records/<name>)
observation  what Mesos and Flink last said            (memory only)
decision     what follows from the three: a new record, effects, and one sentence why
status       what people and scripts read              (/weir/status/<name>)
resources    offers, requests and launches, the vocabulary of placing
policy       the operator's own settings and the strategies that deciding needs
"""
