"""Definitions of objectives in OpenSLO: text in, findings and checked definitions out. Pure.

Read in this order: ``document`` (text to nodes with places) · ``shapes`` and ``rules`` (two small
languages: what may stand where, and what must hold) · ``vocabulary`` and ``v1alpha`` (the kinds of
each version in these languages) · ``references``, ``strict``, ``lint`` (what the official validator
does not look at) · ``validate`` (all of it, for one or more files) · ``model`` (typed definitions).
"""
