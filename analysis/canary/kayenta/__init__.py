"""Kayenta's judge, to the last bit: for those who change the judge before they change the rule."""
