"""The HTTP API and the pages of a replica, on a thread of their own.

    ApiServer (thread)  uvicorn  ->  application  ->  health    /livez /readyz /leader /metrics: every replica itself
                                                  ->  jobs      /api/v1/jobs...: the leader; a follower redirects
                                                  ->  cluster   /api/v1/cluster, events, Prometheus targets
                                                  ->  live      server-sent events
                                                  ->  actions   with a token only
                                                  ->  pages     HTML for people

What is read comes from the leader's published view (`reconciler.view`) and from ZooKeeper, so a
request never reaches into the loop's memory and never makes it wait.
"""
