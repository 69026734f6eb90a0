"""The names of XMP properties that are read and written, in the notation of lxml: {namespace}name."""

from __future__ import annotations

from typing import Final

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP_META: Final = "adobe:ns:meta/"
XML: Final = "http://www.w3.org/XML/1998/namespace"
DC: Final = "http://purl.org/dc/elements/1.1/"
LIGHTROOM: Final = "http://ns.adobe.com/lightroom/1.0/"
DIGIKAM: Final = "http://www.digikam.org/ns/1.0/"
EXIF: Final = "http://ns.adobe.com/exif/1.0/"
XMP: Final = "http://ns.adobe.com/xap/1.0/"
PHOTOSHOP: Final = "http://ns.adobe.com/photoshop/1.0/"
MWG_REGIONS: Final = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA: Final = "http://ns.adobe.com/xmp/sType/Area#"
DIMENSIONS: Final = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
MP: Final = "http://ns.microsoft.com/photo/1.2/"
MP_REGION_INFO: Final = "http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
MP_REGION: Final = "http://ns.microsoft.com/photo/1.2/t/Region#"
ACDSEE_REGIONS: Final = "http://ns.acdsee.com/regions/"
ACDSEE_AREA: Final = "http://ns.acdsee.com/sType/Area#"
ACDSEE_DIMENSIONS: Final = "http://ns.acdsee.com/sType/Dimensions#"
IPTC_EXTENSION: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
MICROSOFT_PHOTO: Final = "http://ns.microsoft.com/photo/1.0/"
MEDIAPRO: Final = "http://ns.iview-ms.com/mediapro/1.0/"
ACDSEE_IPTC: Final = "http://ns.acdsee.com/iptc/1.0/"
MWG_KW: Final = "http://www.metadataworkinggroup.com/schemas/keywords/"
TIFF: Final = "http://ns.adobe.com/tiff/1.0/"

#: The usual prefixes of the namespaces that are written.
PREFIXES: Final = {
    DC: "dc",
    LIGHTROOM: "lr",
    DIGIKAM: "digiKam",
    MWG_REGIONS: "mwg-rs",
    AREA: "stArea",
    DIMENSIONS: "stDim",
    MP: "MP",
    MP_REGION_INFO: "MPRI",
    MP_REGION: "MPReg",
}

SUBJECT: Final = f"{{{DC}}}subject"
HIERARCHICAL: Final = f"{{{LIGHTROOM}}}hierarchicalSubject"
TAGS_LIST: Final = f"{{{DIGIKAM}}}TagsList"
#: Keywords in forms that are read and never written.
WINDOWS: Final = f"{{{MICROSOFT_PHOTO}}}LastKeywordXMP"
CATALOG_SETS: Final = f"{{{MEDIAPRO}}}CatalogSets"
CATEGORIES: Final = f"{{{ACDSEE_IPTC}}}categories"
MWG_KEYWORDS: Final = f"{{{MWG_KW}}}Keywords"
MWG: Final = f"{{{MWG_REGIONS}}}Regions"
MP_INFO: Final = f"{{{MP}}}RegionInfo"
ACDSEE: Final = f"{{{ACDSEE_REGIONS}}}Regions"
IPTC: Final = f"{{{IPTC_EXTENSION}}}ImageRegion"
SIDECAR_FOR: Final = f"{{{PHOTOSHOP}}}SidecarForExtension"
#: The sides of the stored picture in pixels, as the properties of its file give them.
SIDES: Final = (
    (f"{{{TIFF}}}ImageWidth", f"{{{TIFF}}}ImageLength"),
    (f"{{{EXIF}}}PixelXDimension", f"{{{EXIF}}}PixelYDimension"),
)
#: The time of capture, the most telling property first.
TIMES: Final = (
    f"{{{EXIF}}}DateTimeOriginal",
    f"{{{PHOTOSHOP}}}DateCreated",
    f"{{{EXIF}}}DateTimeDigitized",
    f"{{{XMP}}}CreateDate",
)
