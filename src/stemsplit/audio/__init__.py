"""
Files to blocks of float32, and blocks back to files; knows no network.

    reader.py       the door: open any file, yield blocks; it picks one of the two decoders
    soundfile_decoder.py, ffmpeg_decoder.py
    blocks.py       what a block is, and what is known about where blocks come from
    channels.py     mono, stereo, surround
    resample.py     streaming rate conversion
    excerpt.py      a part of a song
    writer.py       the stems of a track, written whole or not at all
    held.py         samples that wait for the gain      quantise.py float to integers, with dither
    formats.py      the table of formats
    encoder.py      the door to the two encoders: soundfile_encoder.py, aac_encoder.py
    ogg.py, id3.py, stem_mp4.py     what is to be known of single file formats
    tags.py         tags and cover, carried over        cover.py, replaygain.py
    targets.py      final names: may they be written    folders.py  made and taken away again
    ffmpeg_program.py   running an installed ffmpeg
    faults.py       how operating system errors are told
"""
