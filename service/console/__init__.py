"""The page /console: the service about itself. Imported only with the setting `console`."""
