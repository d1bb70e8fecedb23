module check

go 1.27

require golang.org/x/mod v0.0.0

// Copied there from Go's own cmd/vendor.
replace golang.org/x/mod => ../mod
