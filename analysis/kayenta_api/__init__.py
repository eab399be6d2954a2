"""Kayenta's REST API: what Spinnaker's Orca and Gate and Argo's Kayenta provider call.

Configurations and executions are kept in the ledger's database; metrics are fetched by PromQL from
the collector, judged by Kayenta's own rule, once per execution. Nothing here can decide a rollback:
whoever asked acts on the answer.
"""
