"""Who may do what: tokens with scopes, bound to services and environments.

``tokens`` what a token is; ``token_file`` where they are kept; ``desk`` who is asking; ``gate`` the
check before an HTTP application. The collector, the analysis and the dashboards share them.
"""
