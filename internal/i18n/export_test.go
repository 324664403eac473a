package i18n

// Forms are the plural forms that the language is said to have.
func (l Language) Forms() []string { return l.forms }

// LoadCommon reads the common texts again.
func LoadCommon() (*Texts, error) { return load(commonFiles, "common") }
