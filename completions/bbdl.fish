complete --keep-order --exclusive --command bbdl --arguments "(BBDL_COMPLETE=fish bbdl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
