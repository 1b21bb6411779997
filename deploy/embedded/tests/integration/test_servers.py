def test_all(embedded, make_database, kafka_topics):
    assert make_database("mapping"); assert kafka_topics("x")
