package formats

// Weak returns a format far below the least parameters, for tests that need many hashes.
func Weak(name string) Format {
	weak := map[string]int{"m": 8, "t": 1, "p": 1, "cost": 4, "ln": 4, "r": 8, "iterations": 1000, "rounds": 1000}
	f, err := Parse(name)
	if err != nil {
		panic(err)
	}
	for i, p := range f.kind.params {
		f.values[i] = weak[p.Name]
	}
	return f
}
