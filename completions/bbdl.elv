set edit:completion:arg-completer[bbdl] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) BBDL_COMPLETE="elvish" bbdl -- $@words) | to-lines
}
