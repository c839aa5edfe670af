"""What a replica tells about itself: metrics, and the view of the leader that the HTTP API shows.

    Loop -> drive -> Monitor.handled / decided     counters, and the newest LeaderView
    Store, Cluster, Flink -> Measured               how often each call was made, how it ended, how long it took
    LeaderView -> JobCollector                      one series per job, when somebody scrapes

Nothing here can hold up the loop: it copies on the loop's thread, twice a second, and everything
else happens on the threads that ask.
"""
